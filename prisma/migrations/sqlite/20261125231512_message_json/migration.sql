-- A message is kept as the JSON that its recipient gets. Its id is written with dashes, its time as UTC with
-- milliseconds: openapi.yaml, Message.
CREATE TABLE "new_message" (
    "position" INTEGER NOT NULL PRIMARY KEY,
    "recipient_id" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "id" BLOB NOT NULL,
    "sender_id" INTEGER NOT NULL,
    "json" TEXT NOT NULL,
    "sent_at" DATETIME NOT NULL
);
INSERT INTO "new_message" ("position", "recipient_id", "seq", "id", "sender_id", "json", "sent_at")
SELECT "position", "recipient_id", "seq", "message"."id", "sender_id",
       json_object(
         'seq', "seq",
         'id', lower(format('%s-%s-%s-%s-%s', substr(hex("message"."id"), 1, 8), substr(hex("message"."id"), 9, 4),
                            substr(hex("message"."id"), 13, 4), substr(hex("message"."id"), 17, 4),
                            substr(hex("message"."id"), 21))),
         'from', "username",
         'body', "body",
         'sentAt', strftime('%Y-%m-%dT%H:%M:%fZ', "sent_at" / 1000.0, 'unixepoch')),
       "sent_at"
  FROM "message" LEFT JOIN "account" ON "account"."id" = "sender_id" ORDER BY "position";
DROP TABLE "message";
ALTER TABLE "new_message" RENAME TO "message";
CREATE UNIQUE INDEX "message_id_key" ON "message"("id");
