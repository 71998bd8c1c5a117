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

-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_idempotency_key" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "sender_id" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BLOB NOT NULL,
    "message_id" BLOB NOT NULL,
    "sent_at" DATETIME NOT NULL,
    "live" BOOLEAN NOT NULL
);
INSERT INTO "new_idempotency_key" ("fingerprint", "id", "key", "live", "message_id", "sender_id", "sent_at") SELECT "fingerprint", "id", "key", "live", "message_id", "sender_id", "sent_at" FROM "idempotency_key";
DROP TABLE "idempotency_key";
ALTER TABLE "new_idempotency_key" RENAME TO "idempotency_key";
CREATE UNIQUE INDEX "idempotency_key_sender_id_key_key" ON "idempotency_key"("sender_id", "key");
CREATE TABLE "new_message" (
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BLOB NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "body" TEXT NOT NULL,
    "sent_at" DATETIME NOT NULL,

    PRIMARY KEY ("recipient_id", "seq")
);
INSERT INTO "new_message" ("body", "id", "recipient_id", "sender_id", "sent_at", "seq") SELECT "body", "id", "recipient_id", "sender_id", "sent_at", "seq" FROM "message";
DROP TABLE "message";
ALTER TABLE "new_message" RENAME TO "message";
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;

-- CreateIndex
CREATE INDEX "presence_node_id_idx" ON "presence"("node_id");
