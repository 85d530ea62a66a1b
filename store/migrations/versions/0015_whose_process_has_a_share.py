"""Whose process a share of the rate is; and an index of staff's codes that holds no pilgrim's."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

LIVE = 'code_one_live_of_staff'


def upgrade() -> None:
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.add_column(sa.Column('host', sa.String(64), nullable=True))
        batch_op.add_column(sa.Column('pid', sa.Integer(), nullable=True))
    _only('closed_at IS NULL AND staff_id IS NOT NULL')


def downgrade() -> None:
    _only('closed_at IS NULL')
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.drop_column('pid')
        batch_op.drop_column('host')


def _only(condition: str) -> None:
    op.drop_index(LIVE, 'code')
    op.create_index(
        LIVE,
        'code',
        ['staff_id', 'purpose'],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
