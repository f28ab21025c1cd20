-- +goose Up

-- No body was ever packed with a dictionary.
DROP TABLE zdict;
