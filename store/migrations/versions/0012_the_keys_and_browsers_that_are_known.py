"""The keys that a database knows, by a check value each, and the browsers that the console knows.

The first start after this learns the keys that the audit proves.
"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('key_check',
    sa.Column('key_id', sa.String(32), nullable=False),
    sa.Column('digest', sa.LargeBinary(32), nullable=False),
    sa.Column('turn', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('key_id', name=op.f('key_check_pkey'))
    )
    op.create_table('console_browser',
    sa.Column('id', sa.String(22), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('digest', sa.LargeBinary(32), nullable=False),
    sa.Column('logged_in_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('console_browser_staff_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('console_browser_pkey')),
    sqlite_with_rowid=False
    )
    op.add_column('staff', sa.Column('console_failures', sa.Integer(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    op.drop_column('staff', 'console_failures')
    op.drop_table('console_browser')
    op.drop_table('key_check')
