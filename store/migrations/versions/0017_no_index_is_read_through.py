"""Queued texts are found by their phone, the index of staff's codes holds no account's, what is closed says why.

An index of all that is open was read through where the planner took it for short: in a rush it is thousands of rows, and
each text read them all. So a code counts as open where it has no reason why it was closed.
"""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None

OPEN, QUEUED = 'closed_at IS NULL', 'status = 0'


def _create(table: str, name: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    with op.batch_alter_table(table, recreate='never') as batch_op:
        batch_op.create_index(name, columns, unique=unique, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _drop(table: str, name: str) -> None:
    with op.batch_alter_table(table, recreate='never') as batch_op:
        batch_op.drop_index(name)


def upgrade() -> None:
    _drop('code', 'code_one_live_of_staff')
    _create('code', 'code_one_live_of_staff', ['staff_id', 'purpose'], f'{OPEN} AND staff_id IS NOT NULL', unique=True)
    op.execute("UPDATE code SET close_reason = 'expired' WHERE closed_at IS NOT NULL AND close_reason IS NULL")
    _create('outbound_message', 'outbound_message_queued_at', ['phone'], QUEUED)


def downgrade() -> None:
    _drop('outbound_message', 'outbound_message_queued_at')
    _drop('code', 'code_one_live_of_staff')
    _create('code', 'code_one_live_of_staff', ['staff_id', 'purpose'], OPEN, unique=True)
