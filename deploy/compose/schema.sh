#!/bin/sh
# Brings the store's schema up to date and makes the logins of its clients, with passwords from the files
# LOGIN_password in $SECRETS. As owner of the database, and superuser; harmless to run again.
set -eu
gaugebook db migrate
gaugebook db roles --login collector --of writer
gaugebook db roles --login tick --of admin
gaugebook db roles --login grafana --of grafana
gaugebook db grant grafana --all-teams
python - <<'PYTHON'
import os
from pathlib import Path

from psycopg import sql

from store import settings
from store.connect import connect

files = {"collector": "collector_password", "tick": "tick_password", "grafana": "grafana_store_password"}
with connect(settings.load(), autocommit=True) as connection:
    for login, file in files.items():
        password = (Path(os.environ["SECRETS"]) / file).read_text(encoding="ascii").strip()
        # Hashed here, so that no log of the server can hold it.
        hashed = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(hashed)))
PYTHON
