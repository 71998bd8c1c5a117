-- Messages lie in the order in which they came, and their entries say where: WITHOUT ROWID, because the key is all
-- there is to look for. Neither table counts by AUTOINCREMENT, which writes a page more for each batch: positions
-- are given by the server.
CREATE TABLE "new_message" (
    "position" INTEGER NOT NULL PRIMARY KEY,
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BLOB NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "body" TEXT NOT NULL,
    "sent_at" DATETIME NOT NULL
);
INSERT INTO "new_message" ("position", "recipient_id", "seq", "id", "sender_id", "body", "sent_at") SELECT rowid, "recipient_id", "seq", "id", "sender_id", "body", "sent_at" FROM "message" ORDER BY rowid;
DROP TABLE "message";
ALTER TABLE "new_message" RENAME TO "message";
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");

-- CreateTable
CREATE TABLE "inbox_entry" (
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "position" INTEGER NOT NULL,

    PRIMARY KEY ("recipient_id", "seq")
) WITHOUT ROWID;
INSERT INTO "inbox_entry" ("recipient_id", "seq", "position") SELECT "recipient_id", "seq", "position" FROM "message" ORDER BY "recipient_id", "seq";

-- CreateTable
CREATE TABLE "inbox_index" (
    "position" INTEGER NOT NULL PRIMARY KEY
);
INSERT INTO "inbox_index" ("position") SELECT coalesce(max("position"), 0) FROM "message";
