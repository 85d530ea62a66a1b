"""What the console looks up: accounts by the last digits of their ID or mobile, and what staff did."""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.create_index('audit_by_staff', ['id'], unique=False, sqlite_where=sa.text("actor IN ('staff', 'operator')"), postgresql_where=sa.text("actor IN ('staff', 'operator')"))

    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.create_index('account_mobile_end', [sa.literal_column('substr(mobile, length(mobile) - 3)')], unique=False)
        batch_op.create_index('account_national_id_end', [sa.literal_column('substr(national_id, length(national_id) - 3)')], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.drop_index('audit_by_staff')

    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.drop_index('account_national_id_end')
        batch_op.drop_index('account_mobile_end')
