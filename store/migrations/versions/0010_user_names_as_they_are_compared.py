"""User names as they are compared: those that differ only in their spelling are one."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

AT_A_TIME = 1000
ALIKE = str.maketrans({**dict.fromkeys("يىېۍ", "ی"), **dict.fromkeys("كڪ", "ک")})


def key(username: str) -> str:
    # As store/accounts.py had it when this was written.
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold()).translate(ALIKE)
    kept = (each for each in name if unicodedata.category(each) not in ("Cc", "Cf"))
    plain = "".join(str(unicodedata.decimal(each, each)) for each in kept)
    return " ".join(plain.split())[:160]


def upgrade() -> None:
    # Not in a batch: SQLite would copy the table, and lose the indexes over expressions.
    op.add_column('account', sa.Column('username_key', sa.String(160), server_default='', nullable=False))
    account = sa.table('account', sa.column('id', sa.Integer), sa.column('username', sa.String), sa.column('username_key', sa.String))
    fill = sa.update(account).where(account.c.id == sa.bindparam('row')).values(username_key=sa.bindparam('found'))
    connection, last = op.get_bind(), 0
    page = sa.select(account.c.id, account.c.username).where(account.c.id > sa.bindparam('last')).order_by(account.c.id).limit(AT_A_TIME)
    while rows := connection.execute(page, {'last': last}).all():
        connection.execute(fill, [{'row': number, 'found': key(username)} for number, username in rows])
        last = rows[-1][0]
    op.create_index('account_username_key', 'account', ['username_key'])


def downgrade() -> None:
    op.drop_index('account_username_key', table_name='account')
    op.drop_column('account', 'username_key')
