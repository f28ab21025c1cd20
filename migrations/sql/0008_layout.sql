-- +goose Up

-- A program finds nothing in rows of another layout than its own. 0 stands for all layouts from before it was recorded, also for rows
-- from before there was a search.
ALTER TABLE search_generation ADD COLUMN layout int NOT NULL DEFAULT 0; -- that all rows of res have or are being given

ALTER TABLE reindex_job ADD COLUMN awaited boolean NOT NULL DEFAULT false; -- nothing can be searched before it is done
