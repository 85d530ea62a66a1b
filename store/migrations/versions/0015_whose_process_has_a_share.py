"""Whose process a share of the rate is; and an index of staff's codes that holds no pilgrim's."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

LIVE, ALL_LIVE = 'code_staff_one_live', 'code_one_live_of_staff'


def upgrade() -> None:
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.add_column(sa.Column('host', sa.String(64), nullable=True))
        batch_op.add_column(sa.Column('pid', sa.Integer(), nullable=True))
    _replace(ALL_LIVE, LIVE, 'closed_at IS NULL AND staff_id IS NOT NULL')


def downgrade() -> None:
    _replace(LIVE, ALL_LIVE, 'closed_at IS NULL')
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.drop_column('pid')
        batch_op.drop_column('host')


def _replace(former: str, name: str, condition: str) -> None:
    # The stronger lock first: a text that waits for the weaker one holds what the stronger would wait for.
    op.drop_index(former, 'code')
    op.create_index(
        name,
        'code',
        ['staff_id', 'purpose'],
        unique=True,
        if_not_exists=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
