"""A province and a broker in the one spelling that is compared; and how often a phone has ended its STOP of late."""

import unicodedata
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

FORMS = str.maketrans(
    {
        **dict.fromkeys("يىےېۍ", "ی"),
        **dict.fromkeys("كڪ", "ک"),
        **dict.fromkeys("ةہھۃەۀ", "ه"),
        "ٱ": "ا",
        "ګ": "گ",
        "\u200c": " ",
        **dict.fromkeys("ـء'’‘`´ʼʻʿʾ", ""),
    }
)


def place_name(written: str) -> str:
    # As dialogs/parsing/normalise.py had it when this was written.
    found = []
    for char in "".join(unicodedata.normalize("NFKD", each).casefold() for each in written.replace("\u200c", " ")):
        category = unicodedata.category(char)
        if char.isspace() or category == "Cs":
            found.append(" ")
        elif category == "Nd":
            found.append(str(unicodedata.decimal(char)))
        elif category[0] != "M" and category not in ("Cc", "Cf"):
            found.append(char.translate(FORMS))
    return " ".join("".join(found).split())[:60].strip()


def upgrade() -> None:
    # Not in a batch: SQLite would copy the table.
    op.add_column('conversation', sa.Column('starts_this_hour', sa.Integer(), server_default='0', nullable=False))
    connection = op.get_bind()
    for name in ("account", "staff"):
        for kind in ("province", "broker"):
            fold_column(connection, name, kind)
    fold_counts(connection)


def fold_column(connection: sa.Connection, name: str, kind: str) -> None:
    of = sa.table(name, sa.column(kind, sa.String))
    for written in connection.execute(sa.select(of.c[kind]).where(of.c[kind].is_not(None)).distinct()).scalars().all():
        if place_name(written) != written:
            connection.execute(sa.update(of).where(of.c[kind] == written).values({kind: place_name(written) or None}))


def fold_counts(connection: sa.Connection) -> None:
    columns = (sa.column('period', sa.Integer), *(sa.column(it, sa.String) for it in ('subject', 'province', 'gateway')))
    stat = sa.table('delivery_stat', *columns, sa.column('counts', sa.JSON))
    for written in connection.execute(sa.select(stat.c.province).distinct()).scalars().all():
        place = place_name(written)
        if place == written:
            continue
        for row in connection.execute(sa.select(stat).where(stat.c.province == written)).all():
            same = [stat.c.period == row.period, stat.c.subject == row.subject, stat.c.gateway == row.gateway]
            there = connection.execute(sa.select(stat.c.counts).where(*same, stat.c.province == place)).scalar()
            if there is None:
                connection.execute(sa.update(stat).where(*same, stat.c.province == written).values(province=place))
                continue
            both = dict(Counter(there) + Counter(row.counts))
            connection.execute(sa.update(stat).where(*same, stat.c.province == place).values(counts=both))
            connection.execute(sa.delete(stat).where(*same, stat.c.province == written))


def downgrade() -> None:
    op.drop_column('conversation', 'starts_this_hour')  # the spelling that is compared was always as good
