-- Upgrades a file of the last version before 0.1 to the tables of the first migration.
CREATE TABLE "new_message" (
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BLOB NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "bytes_before" BIGINT NOT NULL,
    "receipts_before" BIGINT NOT NULL DEFAULT 0,
    "wants_receipt" BOOLEAN NOT NULL DEFAULT false,
    "receipt_for" BLOB,
    "body" TEXT NOT NULL,

    PRIMARY KEY ("recipient_id", "seq")
);
INSERT INTO "new_message" ("recipient_id", "seq", "id", "sender_id", "sent_at", "bytes_before", "body")
SELECT "recipient_id", "seq", "id", "sender_id", "sent_at",
       sum(octet_length("json" ->> 'body')) OVER (PARTITION BY "recipient_id" ORDER BY "seq")
         - octet_length("json" ->> 'body'),
       "json" ->> 'body'
  FROM "message" ORDER BY "position";
DROP TABLE "message";
DROP TABLE "inbox_entry";
DROP TABLE "inbox_index";
ALTER TABLE "new_message" RENAME TO "message";
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");

ALTER TABLE "account" ADD COLUMN "newest_seq" BIGINT NOT NULL DEFAULT 0;
UPDATE "account" SET "newest_seq" = "purged_seq";
ALTER TABLE "account" ADD COLUMN "text_bytes" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "account" ADD COLUMN "last_login_at" DATETIME;
ALTER TABLE "account" ADD COLUMN "disabled_at" DATETIME;
ALTER TABLE "account" ADD COLUMN "hides_presence" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "session" ADD COLUMN "label" TEXT;
ALTER TABLE "session" ADD COLUMN "last_seen_at" DATETIME;
ALTER TABLE "account" ADD COLUMN "receipts" BIGINT NOT NULL DEFAULT 0;

CREATE TABLE "block" (
    "account_id" INTEGER NOT NULL,
    "blocked_id" INTEGER NOT NULL,
    "created_at" DATETIME NOT NULL,

    PRIMARY KEY ("account_id", "blocked_id"),
    CONSTRAINT "block_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "block_blocked_id_fkey" FOREIGN KEY ("blocked_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "restored_range" (
    "account_id" INTEGER NOT NULL,
    "from_seq" BIGINT NOT NULL,
    "to_seq" BIGINT NOT NULL,

    PRIMARY KEY ("account_id", "from_seq"),
    CONSTRAINT "restored_range_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "known_address" (
    "account_id" INTEGER NOT NULL,
    "address" BLOB NOT NULL,
    "last_login_at" DATETIME NOT NULL,

    PRIMARY KEY ("account_id", "address"),
    CONSTRAINT "known_address_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "application_token" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "account_id" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "hash" BLOB NOT NULL,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME,
    "last_used_at" DATETIME,
    CONSTRAINT "application_token_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "application_token_hash_key" ON "application_token"("hash");
CREATE INDEX "application_token_account_id_idx" ON "application_token"("account_id");

CREATE TABLE "push_subscription" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "account_id" INTEGER NOT NULL,
    "session_id" TEXT NOT NULL,
    "endpoint" TEXT NOT NULL,
    "p256dh" TEXT NOT NULL,
    "auth" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL,
    "used_at" DATETIME NOT NULL,
    "hinted_seq" BIGINT,
    "hinted_until" DATETIME,
    "claim" TEXT,
    CONSTRAINT "push_subscription_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "push_subscription_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "push_subscription_endpoint_key" ON "push_subscription"("endpoint");
CREATE INDEX "push_subscription_account_id_idx" ON "push_subscription"("account_id");
CREATE INDEX "push_subscription_session_id_idx" ON "push_subscription"("session_id");

CREATE TABLE "invite" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "hash" BLOB NOT NULL,
    "note" TEXT,
    "uses" INTEGER NOT NULL,
    "used" INTEGER NOT NULL DEFAULT 0,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME
);
CREATE UNIQUE INDEX "invite_hash_key" ON "invite"("hash");

CREATE TABLE "store" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "is_backup" BOOLEAN NOT NULL,
    "floor_seq" BIGINT NOT NULL DEFAULT 0,
    "system_identifier" TEXT,
    "timeline" INTEGER
);
INSERT INTO "store" ("id", "is_backup") VALUES (1, false);

CREATE TABLE "expired_message" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "sender_id" INTEGER NOT NULL,
    "recipient_id" INTEGER NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "expired_at" DATETIME NOT NULL
);
CREATE INDEX "expired_message_expired_at_idx" ON "expired_message"("expired_at");

CREATE TABLE "new_idempotency_key" (
    "sender_id" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BLOB NOT NULL,
    "message_id" BLOB NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "live" BOOLEAN NOT NULL,

    PRIMARY KEY ("sender_id", "key")
);
INSERT INTO "new_idempotency_key"
SELECT "sender_id", "key", "fingerprint", "message_id", "sent_at", "live" FROM "idempotency_key" ORDER BY "id";
DROP TABLE "idempotency_key";
ALTER TABLE "new_idempotency_key" RENAME TO "idempotency_key";
CREATE INDEX "idempotency_key_sent_at_idx" ON "idempotency_key"("sent_at");
