-- Upgrades a database of the last version before 0.1 to the tables of the first migration.
CREATE TABLE "new_message" (
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

    CONSTRAINT "new_message_pkey" PRIMARY KEY ("recipient_id","seq")
);
INSERT INTO "new_message" ("recipient_id", "seq", "id", "sender_id", "sent_at", "bytes_before", "body")
SELECT "recipient_id", "seq", "id", "sender_id", "sent_at",
       sum(octet_length("body")) OVER (PARTITION BY "recipient_id" ORDER BY "seq") - octet_length("body"), "body"
  FROM "message";
DROP TABLE "message";
ALTER TABLE "new_message" RENAME TO "message";
ALTER INDEX "new_message_pkey" RENAME TO "message_pkey";
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");

ALTER TABLE "account" ADD COLUMN "text_bytes" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "account" ADD COLUMN "last_login_at" TIMESTAMP(3);
ALTER TABLE "account" ADD COLUMN "disabled_at" TIMESTAMP(3);
ALTER TABLE "account" ADD COLUMN "hides_presence" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "session" ADD COLUMN "label" TEXT;
ALTER TABLE "session" ADD COLUMN "last_seen_at" TIMESTAMP(3);
ALTER TABLE "account" ADD COLUMN "receipts" BIGINT NOT NULL DEFAULT 0;
UPDATE "account" SET "text_bytes" = "counted"."bytes"
  FROM (SELECT "recipient_id", sum(octet_length("body")) AS "bytes" FROM "message" GROUP BY "recipient_id") AS "counted"
 WHERE "account"."id" = "counted"."recipient_id";

CREATE INDEX "message_by_sender" ON "message"("recipient_id", "sender_id", "seq") WHERE "receipt_for" IS NULL;
CREATE INDEX "message_wants_receipt" ON "message"("recipient_id", "seq") WHERE "wants_receipt";

CREATE TABLE "block" (
    "account_id" INTEGER NOT NULL,
    "blocked_id" INTEGER NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "block_pkey" PRIMARY KEY ("account_id","blocked_id")
);
ALTER TABLE "block" ADD CONSTRAINT "block_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "block" ADD CONSTRAINT "block_blocked_id_fkey" FOREIGN KEY ("blocked_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

CREATE TABLE "restored_range" (
    "account_id" INTEGER NOT NULL,
    "from_seq" BIGINT NOT NULL,
    "to_seq" BIGINT NOT NULL,

    CONSTRAINT "restored_range_pkey" PRIMARY KEY ("account_id","from_seq")
);
ALTER TABLE "restored_range" ADD CONSTRAINT "restored_range_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

CREATE TABLE "known_address" (
    "account_id" INTEGER NOT NULL,
    "address" BYTEA NOT NULL,
    "last_login_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "known_address_pkey" PRIMARY KEY ("account_id","address")
);

ALTER TABLE "known_address" ADD CONSTRAINT "known_address_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

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
ALTER TABLE "application_token" ADD CONSTRAINT "application_token_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
CREATE UNIQUE INDEX "application_token_hash_key" ON "application_token"("hash");
CREATE INDEX "application_token_account_id_idx" ON "application_token"("account_id");

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
ALTER TABLE "push_subscription" ADD CONSTRAINT "push_subscription_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "push_subscription" ADD CONSTRAINT "push_subscription_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE CASCADE ON UPDATE CASCADE;
CREATE UNIQUE INDEX "push_subscription_endpoint_key" ON "push_subscription"("endpoint");
CREATE INDEX "push_subscription_account_id_idx" ON "push_subscription"("account_id");
CREATE INDEX "push_subscription_session_id_idx" ON "push_subscription"("session_id");

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
CREATE UNIQUE INDEX "invite_hash_key" ON "invite"("hash");

CREATE TABLE "store" (
    "id" INTEGER NOT NULL,
    "is_backup" BOOLEAN NOT NULL,
    "floor_seq" BIGINT NOT NULL DEFAULT 0,
    "system_identifier" TEXT,
    "timeline" INTEGER,

    CONSTRAINT "store_pkey" PRIMARY KEY ("id")
);
INSERT INTO "store" ("id", "is_backup") VALUES (1, false);

CREATE TABLE "expired_message" (
    "id" BYTEA NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "recipient_id" INTEGER NOT NULL,
    "sent_at" TIMESTAMP(3) NOT NULL,
    "expired_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "expired_message_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "expired_message_expired_at_idx" ON "expired_message"("expired_at");

ALTER TABLE "idempotency_key" DROP CONSTRAINT "idempotency_key_pkey";
ALTER TABLE "idempotency_key" DROP COLUMN "id";
DROP INDEX "idempotency_key_sender_id_key_key";
ALTER TABLE "idempotency_key" ADD CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("sender_id", "key");
CREATE INDEX "idempotency_key_sent_at_idx" ON "idempotency_key"("sent_at");

CREATE OR REPLACE FUNCTION tell_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER application_token_ended AFTER DELETE ON "application_token" FOR EACH ROW EXECUTE FUNCTION tell_ended_session();

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
