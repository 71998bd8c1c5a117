-- It is the number of the last message, or that up to which the inbox was purged.
ALTER TABLE "account" DROP COLUMN "newest_seq";
