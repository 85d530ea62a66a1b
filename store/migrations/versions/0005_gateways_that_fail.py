"""Gateways that fail: what a text has met, how each gateway fares, and how often."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('breaker',
    sa.Column('gateway', sa.String(20), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('probe_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('gateway', name=op.f('breaker_pkey')),
    sqlite_with_rowid=False
    )
    op.create_table('occurrence',
    sa.Column('name', sa.String(40), nullable=False),
    sa.Column('label', sa.String(80), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', 'label', name=op.f('occurrence_pkey')),
    sqlite_with_rowid=False
    )
    op.add_column('outbox', sa.Column('setbacks', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('outbox', sa.Column('instead_of', sa.Integer(), nullable=True))
    op.add_column('conversation', sa.Column('stop_confirmed_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column('conversation', 'stop_confirmed_at')
    op.drop_column('outbox', 'instead_of')
    op.drop_column('outbox', 'setbacks')
    op.drop_table('occurrence')
    op.drop_table('breaker')
