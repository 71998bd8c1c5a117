-- CreateTable
CREATE TABLE "account" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "username" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "password_hash" TEXT,
    "created_at" DATETIME NOT NULL,
    "deleted_at" DATETIME,
    "last_seen_at" DATETIME,
    "newest_seq" BIGINT NOT NULL DEFAULT 0,
    "acknowledged_seq" BIGINT NOT NULL DEFAULT 0,
    "purged_seq" BIGINT NOT NULL DEFAULT 0
);

-- CreateTable
CREATE TABLE "session" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "account_id" INTEGER NOT NULL,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL,
    "acknowledged_seq" BIGINT NOT NULL,
    "offered_seq" BIGINT NOT NULL,
    CONSTRAINT "session_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "message" (
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BLOB NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "body" TEXT NOT NULL,
    "sent_at" DATETIME NOT NULL,

    PRIMARY KEY ("recipient_id", "seq"),
    CONSTRAINT "message_recipient_id_fkey" FOREIGN KEY ("recipient_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "message_sender_id_fkey" FOREIGN KEY ("sender_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "sender_id" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BLOB NOT NULL,
    "message_id" BLOB NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "live" BOOLEAN NOT NULL,
    CONSTRAINT "idempotency_key_sender_id_fkey" FOREIGN KEY ("sender_id") REFERENCES "account" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateIndex
CREATE UNIQUE INDEX "account_username_key" ON "account"("username");

-- CreateIndex
CREATE INDEX "session_account_id_idx" ON "session"("account_id");

-- CreateIndex
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");

-- CreateIndex
CREATE UNIQUE INDEX "idempotency_key_sender_id_key_key" ON "idempotency_key"("sender_id", "key");
