-- Wait for one's turn to put a page in place; the turn ends with the transaction.
--   :output  text  path of the page
SELECT pg_advisory_xact_lock(hashtextextended('gaugebook.page.' || :output, 0));
