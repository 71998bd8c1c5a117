-- CreateTable
CREATE TABLE "account" (
    "id" SERIAL NOT NULL,
    "username" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "password_hash" TEXT,
    "created_at" TIMESTAMP(3) NOT NULL,
    "deleted_at" TIMESTAMP(3),
    "last_seen_at" TIMESTAMP(3),
    "last_login_at" TIMESTAMP(3),
    "disabled_at" TIMESTAMP(3),
    "hides_presence" BOOLEAN NOT NULL DEFAULT false,
    "newest_seq" BIGINT NOT NULL DEFAULT 0,
    "acknowledged_seq" BIGINT NOT NULL DEFAULT 0,
    "purged_seq" BIGINT NOT NULL DEFAULT 0,
    "text_bytes" BIGINT NOT NULL DEFAULT 0,
    "receipts" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "known_address" (
    "account_id" INTEGER NOT NULL,
    "address" BYTEA NOT NULL,
    "last_login_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "known_address_pkey" PRIMARY KEY ("account_id","address")
);

-- CreateTable
CREATE TABLE "session" (
    "id" TEXT NOT NULL,
    "account_id" INTEGER NOT NULL,
    "label" TEXT,
    "created_at" TIMESTAMP(3) NOT NULL,
    "expires_at" TIMESTAMP(3) NOT NULL,
    "last_seen_at" TIMESTAMP(3),
    "acknowledged_seq" BIGINT NOT NULL,
    "offered_seq" BIGINT NOT NULL,

    CONSTRAINT "session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "application_token" (
    "id" TEXT NOT NULL,
    "account_id" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,
    "expires_at" TIMESTAMP(3),
    "last_used_at" TIMESTAMP(3),

    CONSTRAINT "application_token_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "push_subscription" (
    "id" TEXT NOT NULL,
    "account_id" INTEGER NOT NULL,
    "session_id" TEXT NOT NULL,
    "endpoint" TEXT NOT NULL,
    "p256dh" TEXT NOT NULL,
    "auth" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,
    "used_at" TIMESTAMP(3) NOT NULL,
    "hinted_seq" BIGINT,
    "hinted_until" TIMESTAMP(3),
    "claim" TEXT,

    CONSTRAINT "push_subscription_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "invite" (
    "id" SERIAL NOT NULL,
    "hash" BYTEA NOT NULL,
    "note" TEXT,
    "uses" INTEGER NOT NULL,
    "used" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMP(3) NOT NULL,
    "expires_at" TIMESTAMP(3),

    CONSTRAINT "invite_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "node" (
    "id" TEXT NOT NULL,
    "alive_until" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "node_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "presence" (
    "session_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,

    CONSTRAINT "presence_pkey" PRIMARY KEY ("session_id","node_id")
);

-- CreateTable
CREATE TABLE "message" (
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BYTEA NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "sent_at" TIMESTAMP(3) NOT NULL,
    "bytes_before" BIGINT NOT NULL,
    "receipts_before" BIGINT NOT NULL DEFAULT 0,
    "wants_receipt" BOOLEAN NOT NULL DEFAULT false,
    "receipt_for" BYTEA,
    "body" TEXT NOT NULL,

    CONSTRAINT "message_pkey" PRIMARY KEY ("recipient_id","seq")
);

-- CreateTable
CREATE TABLE "block" (
    "account_id" INTEGER NOT NULL,
    "blocked_id" INTEGER NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "block_pkey" PRIMARY KEY ("account_id","blocked_id")
);

-- CreateTable
CREATE TABLE "restored_range" (
    "account_id" INTEGER NOT NULL,
    "from_seq" BIGINT NOT NULL,
    "to_seq" BIGINT NOT NULL,

    CONSTRAINT "restored_range_pkey" PRIMARY KEY ("account_id","from_seq")
);

-- CreateTable
CREATE TABLE "store" (
    "id" INTEGER NOT NULL,
    "is_backup" BOOLEAN NOT NULL,
    "floor_seq" BIGINT NOT NULL DEFAULT 0,
    "system_identifier" TEXT,
    "timeline" INTEGER,

    CONSTRAINT "store_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "expired_message" (
    "id" BYTEA NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "recipient_id" INTEGER NOT NULL,
    "sent_at" TIMESTAMP(3) NOT NULL,
    "expired_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "expired_message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "sender_id" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BYTEA NOT NULL,
    "message_id" BYTEA NOT NULL,
    "sent_at" TIMESTAMP(3) NOT NULL,
    "live" BOOLEAN NOT NULL,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("sender_id","key")
);

-- CreateIndex
CREATE UNIQUE INDEX "account_username_key" ON "account"("username");

-- CreateIndex
CREATE INDEX "session_account_id_idx" ON "session"("account_id");

-- CreateIndex
CREATE UNIQUE INDEX "application_token_hash_key" ON "application_token"("hash");

-- CreateIndex
CREATE INDEX "application_token_account_id_idx" ON "application_token"("account_id");

-- CreateIndex
CREATE UNIQUE INDEX "push_subscription_endpoint_key" ON "push_subscription"("endpoint");

-- CreateIndex
CREATE INDEX "push_subscription_account_id_idx" ON "push_subscription"("account_id");

-- CreateIndex
CREATE INDEX "push_subscription_session_id_idx" ON "push_subscription"("session_id");

-- CreateIndex
CREATE UNIQUE INDEX "invite_hash_key" ON "invite"("hash");

-- CreateIndex
CREATE INDEX "presence_node_id_idx" ON "presence"("node_id");

-- CreateIndex
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");

-- CreateIndex
CREATE INDEX "expired_message_expired_at_idx" ON "expired_message"("expired_at");

-- CreateIndex
CREATE INDEX "idempotency_key_sent_at_idx" ON "idempotency_key"("sent_at");

-- AddForeignKey
ALTER TABLE "known_address" ADD CONSTRAINT "known_address_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session" ADD CONSTRAINT "session_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "application_token" ADD CONSTRAINT "application_token_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "push_subscription" ADD CONSTRAINT "push_subscription_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "push_subscription" ADD CONSTRAINT "push_subscription_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "presence" ADD CONSTRAINT "presence_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "presence" ADD CONSTRAINT "presence_node_id_fkey" FOREIGN KEY ("node_id") REFERENCES "node"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "block" ADD CONSTRAINT "block_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "block" ADD CONSTRAINT "block_blocked_id_fkey" FOREIGN KEY ("blocked_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restored_range" ADD CONSTRAINT "restored_range_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- The unread messages of one sender, counted where an inbox is crowded. Partial, so that Prisma leaves it alone:
-- SQLite has no such index, because its one writer counts in memory.
CREATE INDEX "message_by_sender" ON "message"("recipient_id", "sender_id", "seq") WHERE "receipt_for" IS NULL;

-- The messages whose senders want receipts: an acknowledgement of others finds nothing here, and is done. Partial, so
-- that Prisma leaves it alone.
CREATE INDEX "message_wants_receipt" ON "message"("recipient_id", "seq") WHERE "wants_receipt";

-- Counters change with every message: a row's next version finds room beside it, and needs no new index entries.
ALTER TABLE "account" SET (fillfactor = 70);
ALTER TABLE "session" SET (fillfactor = 70);

-- However a session ends, the nodes learn of it when that is committed: "ended SESSION NAME", or
-- "ended SESSION NAME disabled" when the account was disabled. Every schema has a
-- channel of its own. The trigger finds both by its table, whatever the search path.
CREATE FUNCTION tell_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  owner_name text;
BEGIN
  EXECUTE format(
      'SELECT username || CASE WHEN disabled_at IS NULL THEN '''' ELSE '' disabled'' END FROM %I.account WHERE id = $1',
      TG_TABLE_SCHEMA)
     INTO owner_name USING OLD.account_id;
  PERFORM pg_notify('restante_' || relnamespace, 'ended ' || OLD.id || ' ' || owner_name)
     FROM pg_class WHERE oid = TG_RELID;
  RETURN NULL;
END
$$;

CREATE TRIGGER session_ended AFTER DELETE ON "session" FOR EACH ROW EXECUTE FUNCTION tell_ended_session();

-- The same of application tokens, whose ids are as unique: "ended TOKEN NAME".
CREATE TRIGGER application_token_ended AFTER DELETE ON "application_token" FOR EACH ROW EXECUTE FUNCTION tell_ended_session();

-- Application tokens of a disabled account stay, and are worth nothing until it is enabled again. The nodes that
-- know them learn of it in the same words.
CREATE FUNCTION tell_disabled_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  token_id text;
BEGIN
  FOR token_id IN
    EXECUTE format('SELECT id FROM %I.application_token WHERE account_id = $1', TG_TABLE_SCHEMA) USING NEW.id
  LOOP
    PERFORM pg_notify('restante_' || relnamespace, 'ended ' || token_id || ' ' || NEW.username)
       FROM pg_class WHERE oid = TG_RELID;
  END LOOP;
  RETURN NULL;
END
$$;

CREATE TRIGGER account_disabled AFTER UPDATE OF "disabled_at" ON "account" FOR EACH ROW
  WHEN (NEW.disabled_at IS NOT NULL) EXECUTE FUNCTION tell_disabled_account();

INSERT INTO "store" ("id", "is_backup") VALUES (1, false);
