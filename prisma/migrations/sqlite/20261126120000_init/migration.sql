-- CreateTable
CREATE TABLE "account" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "username" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "password_hash" TEXT,
    "created_at" DATETIME NOT NULL,
    "deleted_at" DATETIME,
    "last_seen_at" DATETIME,
    "last_login_at" DATETIME,
    "disabled_at" DATETIME,
    "hides_presence" BOOLEAN NOT NULL DEFAULT false,
    "newest_seq" BIGINT NOT NULL DEFAULT 0,
    "acknowledged_seq" BIGINT NOT NULL DEFAULT 0,
    "purged_seq" BIGINT NOT NULL DEFAULT 0,
    "text_bytes" BIGINT NOT NULL DEFAULT 0,
    "receipts" BIGINT NOT NULL DEFAULT 0
);

-- CreateTable
CREATE TABLE "known_address" (
    "account_id" INTEGER NOT NULL,
    "address" BLOB NOT NULL,
    "last_login_at" DATETIME NOT NULL,

    PRIMARY KEY ("account_id", "address"),
    CONSTRAINT "known_address_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "session" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "account_id" INTEGER NOT NULL,
    "label" TEXT,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL,
    "last_seen_at" DATETIME,
    "acknowledged_seq" BIGINT NOT NULL,
    "offered_seq" BIGINT NOT NULL,
    CONSTRAINT "session_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
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

-- CreateTable
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

-- CreateTable
CREATE TABLE "invite" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "hash" BLOB NOT NULL,
    "note" TEXT,
    "uses" INTEGER NOT NULL,
    "used" INTEGER NOT NULL DEFAULT 0,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME
);

-- CreateTable
CREATE TABLE "node" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "alive_until" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "presence" (
    "session_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,

    PRIMARY KEY ("session_id", "node_id"),
    CONSTRAINT "presence_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "presence_node_id_fkey" FOREIGN KEY ("node_id") REFERENCES "node" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "message" (
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

-- CreateTable
CREATE TABLE "block" (
    "account_id" INTEGER NOT NULL,
    "blocked_id" INTEGER NOT NULL,
    "created_at" DATETIME NOT NULL,

    PRIMARY KEY ("account_id", "blocked_id"),
    CONSTRAINT "block_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "block_blocked_id_fkey" FOREIGN KEY ("blocked_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "restored_range" (
    "account_id" INTEGER NOT NULL,
    "from_seq" BIGINT NOT NULL,
    "to_seq" BIGINT NOT NULL,

    PRIMARY KEY ("account_id", "from_seq"),
    CONSTRAINT "restored_range_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "store" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "is_backup" BOOLEAN NOT NULL,
    "floor_seq" BIGINT NOT NULL DEFAULT 0,
    "system_identifier" TEXT,
    "timeline" INTEGER
);

-- CreateTable
CREATE TABLE "expired_message" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "sender_id" INTEGER NOT NULL,
    "recipient_id" INTEGER NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "expired_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "sender_id" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BLOB NOT NULL,
    "message_id" BLOB NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "live" BOOLEAN NOT NULL,

    PRIMARY KEY ("sender_id", "key")
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

INSERT INTO "store" ("id", "is_backup") VALUES (1, false);
