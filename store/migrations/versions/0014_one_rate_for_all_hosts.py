"""One rate for all hosts: each process's lease on MESSAGES_PER_SECOND. Large tables are cleaned early."""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

# A row for each text, and each is changed or dropped: PostgreSQL would wait until a fifth of them is dead.
LARGE = ('outbound_message', 'inbound_message', 'code', 'audit')
EARLY = ('autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_insert_scale_factor', 'autovacuum_analyze_scale_factor')


def upgrade() -> None:
    op.create_table('send_share',
    sa.Column('process', sa.String(22), nullable=False),
    sa.Column('per_second', sa.Integer(), nullable=False),
    sa.Column('renewals', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('process', name=op.f('send_share_pkey')),
    sqlite_with_rowid=False
    )
    if op.get_bind().dialect.name == 'postgresql':
        for name in LARGE:
            op.execute(f"ALTER TABLE {name} SET ({', '.join(f'{each} = 0.01' for each in EARLY)})")


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        for name in LARGE:
            op.execute(f"ALTER TABLE {name} RESET ({', '.join(EARLY)})")
    op.drop_table('send_share')
