"""One rate for all hosts: each process's lease on MESSAGES_PER_SECOND."""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('send_share',
    sa.Column('process', sa.String(22), nullable=False),
    sa.Column('per_second', sa.Integer(), nullable=False),
    sa.Column('renewals', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('process', name=op.f('send_share_pkey')),
    sqlite_with_rowid=False
    )


def downgrade() -> None:
    op.drop_table('send_share')
