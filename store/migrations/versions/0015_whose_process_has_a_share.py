"""Whose process a share of the rate is."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.add_column(sa.Column('host', sa.String(64), nullable=True))
        batch_op.add_column(sa.Column('pid', sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('send_share', recreate='never') as batch_op:
        batch_op.drop_column('pid')
        batch_op.drop_column('host')
