"""What providers are asked for: when and from where on, and the texts that were fetched and not yet heard."""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('poll_round',
    sa.Column('name', sa.String(40), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('cursor', sa.String(64), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('poll_round_pkey')),
    sqlite_with_rowid=False
    )
    op.create_table('polled_message',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('gateway', sa.String(20), nullable=False),
    sa.Column('provider_id', sa.String(64), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('stored_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('polled_message_pkey')),
    sa.UniqueConstraint('gateway', 'provider_id', name='polled_message_once')
    )


def downgrade() -> None:
    op.drop_table('polled_message')
    op.drop_table('poll_round')
