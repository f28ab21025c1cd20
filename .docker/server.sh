#!/bin/sh
# Runs openconsult with the database of the compose file. The password comes from a file.
set -eu
IFS= read -r password </run/secrets/postgres-password || [ -n "$password" ]
export OPENCONSULT_DSN="host=database user=openconsult dbname=openconsult sslmode=disable password=$password"
exec openconsult "$@"
