"""Which process is sending a text."""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('outbound_message', recreate='never') as batch_op:
        batch_op.add_column(sa.Column('claimed_by', sa.String(22), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('outbound_message', recreate='never') as batch_op:
        batch_op.drop_column('claimed_by')
