"""One table of codes, and tables and columns by the field's words.

Codes for staff's orders and for the console join those for pilgrims; what was ordered stands beside them. Columns that
nothing read are gone.
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

TABLES = {
    'outbox': 'outbound_message',
    'inbox': 'inbound_message',
    'announcement': 'webhook_event',
    'occurrence': 'counter',
    'span': 'stats_period',
    'measure': 'delivery_stat',
    'late': 'late_receipt',
    'breaker': 'circuit_breaker',
    'rate': 'rate_limit',
    'handset': 'simulated_message',
}
COLUMNS = {
    'outbound_message': {
        'rank': 'status',
        'setbacks': 'consecutive_failures',
        'instead_of': 'resend_of',
        'heard_at': 'request_received_at',
        'origin': 'inbound_gateway',
        'due_at': 'next_attempt_at',
    },
    'inbound_message': {'heard_at': 'received_at'},
    'webhook_event': {'due_at': 'next_attempt_at'},
    'delivery_stat': {'span': 'period'},
    'rate_limit': {'began_at': 'window_started_at'},
    'heartbeat': {'beat_at': 'last_run_at'},
    'mobile_change': {'fate': 'close_reason'},
    'conversation': {
        'heard_at': 'last_text_at',
        'hour_began_at': 'window_started_at',
        'asked': 'requests_this_hour',
        'hinted': 'hints_this_hour',
        'shrugged': 'unparsed_replies',
        'shrugged_at': 'unparsed_replied_at',
    },
}
UNREAD = {
    'conversation': ('table_version', 'stop_confirmed_at'),
    'webhook_event': ('taken_at',),
    'account': ('password_set_at',),
    'staff': ('added_at',),
}
ADDED = (
    ('audit', 'chain_length'),
    ('inbound_message', 'answered'),
    ('staff', 'locked_at'),
    ('staff', 'failures'),
)
# Index: its table, its columns, and over which rows it is.
INDEXES = {
    'outbound_message_due': ('outbound_message', ['kind', 'next_attempt_at'], 'status = 0'),
    'outbound_message_provider': ('outbound_message', ['provider_id'], 'provider_id IS NOT NULL'),
    'outbound_message_account': ('outbound_message', ['account_id', 'created_at'], 'account_id IS NOT NULL'),
    'outbound_message_created_at': ('outbound_message', ['created_at'], None),
    'inbound_message_unanswered': ('inbound_message', ['received_at'], 'answered = FALSE'),
    'webhook_event_due': ('webhook_event', ['next_attempt_at'], 'ended_at IS NULL'),
    'late_receipt_created_at': ('late_receipt', ['created_at'], None),
    'simulated_message_phone': ('simulated_message', ['phone'], None),
    'simulated_message_arrived_at': ('simulated_message', ['arrived_at'], None),
}
FORMER_INDEXES = {
    'outbox_due': ('outbox', ['kind', 'due_at'], 'rank = 0'),
    'outbox_provider': ('outbox', ['provider_id'], 'provider_id IS NOT NULL'),
    'outbox_account': ('outbox', ['account_id', 'created_at'], 'account_id IS NOT NULL'),
    'outbox_created_at': ('outbox', ['created_at'], None),
    'inbox_unanswered': ('inbox', ['heard_at'], "event = 'unanswered'"),
    'announcement_due': ('announcement', ['due_at'], 'ended_at IS NULL'),
    'late_created_at': ('late', ['created_at'], None),
    'handset_phone': ('handset', ['phone'], None),
    'handset_arrived_at': ('handset', ['arrived_at'], None),
}


def upgrade() -> None:
    for name, (table, _, _) in FORMER_INDEXES.items():
        op.drop_index(name, table)
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, names in COLUMNS.items():
        for old, new in names.items():
            op.execute(f'ALTER TABLE {table} RENAME COLUMN {old} TO {new}')
    for table, columns in UNREAD.items():
        for column in columns:
            op.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
    _extend()
    _index(INDEXES)
    _rename_constraints()
    _unite_codes()


def _index(indexes: dict[str, tuple[str, list[str], str | None]]) -> None:
    for name, (table, columns, rows) in indexes.items():
        only = sa.text(rows) if rows else None
        op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)


def _extend() -> None:
    op.add_column('staff', sa.Column('failures', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('staff', sa.Column('locked_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('inbound_message', sa.Column('answered', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('audit', sa.Column('chain_length', sa.Integer(), nullable=True))
    op.execute("UPDATE inbound_message SET answered = FALSE WHERE event = 'unanswered' OR event LIKE '%_unheard'")
    op.execute("UPDATE conversation SET state = 'idle', ends_at = NULL WHERE state = 'awaiting_new_password'")
    op.execute(
        """UPDATE outbound_message SET status = 7, ended_at = created_at, error = 'expired'
           WHERE status = 0 AND phrase = 'ask_new_password'"""
    )


def _rename_constraints() -> None:
    """SQLite names a unique one in the table's own text, so the table is written anew; a check's name nobody reads."""
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(
            'ALTER TABLE outbound_message RENAME CONSTRAINT outbox_secret_erased TO outbound_message_secret_erased'
        )
    with op.batch_alter_table('stats_period') as periods:
        periods.drop_constraint(op.f('span_begins_at_unique'), type_='unique')
        periods.create_unique_constraint(op.f('stats_period_begins_at_unique'), ['begins_at'])


def _unite_codes() -> None:
    op.rename_table('code', 'former_code')
    op.rename_table('ticket', 'former_ticket')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('ALTER INDEX code_pkey RENAME TO former_code_pkey')
    for name in ('code_one_live', 'code_account_created'):
        op.drop_index(name, 'former_code')
    _create_codes()
    op.execute(
        """INSERT INTO code SELECT c.id,
             CASE WHEN c.closed_at IS NULL AND v.state = 'awaiting_code_to_change' THEN 'change' ELSE 'recovery' END,
             c.account_id, NULL, c.phone,
             CASE WHEN c.by_owner THEN 'owner' WHEN c.staff_id IS NULL THEN 'other_phone' ELSE 'staff' END,
             c.key_id, c.digest, c.tries_left, c.created_at, c.expires_at, c.closed_at, c.fate
           FROM former_code c LEFT JOIN conversation v ON v.phone = c.phone"""
    )
    for former, purpose in (('confirmation', 'staff_order'), ('console_code', 'console')):
        op.execute(
            f"""INSERT INTO code SELECT c.id, '{purpose}', NULL, c.staff_id, s.mobile, 'staff', c.key_id, c.digest,
                  c.tries_left, c.created_at, c.expires_at, c.closed_at, c.fate
                FROM {former} c JOIN staff s ON s.id = c.staff_id"""
        )
    op.execute(
        """INSERT INTO staff_order SELECT id, staff_id, command, account_id, new_mobile, ref, created_at,
             CASE WHEN fate = 'used' THEN closed_at END, code_id, told_at FROM confirmation"""
    )
    op.execute(
        """INSERT INTO reset_grant SELECT id, account_id, code_id, digest, created_at, expires_at, closed_at
           FROM former_ticket WHERE digest IS NOT NULL"""
    )
    for former in ('former_ticket', 'confirmation', 'console_code', 'former_code'):
        op.drop_table(former)
    _index_codes()


def _create_codes() -> None:
    op.create_table(
        'code',
        sa.Column('id', sa.String(22), nullable=False),
        sa.Column('purpose', sa.String(12), nullable=False),
        sa.Column('account_id', sa.Integer(), nullable=True),
        sa.Column('staff_id', sa.Integer(), nullable=True),
        sa.Column('phone', sa.String(16), nullable=False),
        sa.Column('requested_by', sa.String(12), nullable=False),
        sa.Column('key_id', sa.String(32), nullable=False),
        sa.Column('digest', sa.LargeBinary(length=32), nullable=False),
        sa.Column('tries_left', sa.Integer(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('close_reason', sa.String(10), nullable=True),
        sa.CheckConstraint('(account_id IS NULL) <> (staff_id IS NULL)', name='code_of_account_or_staff'),
        sa.ForeignKeyConstraint(['account_id'], ['account.id']),
        sa.ForeignKeyConstraint(['staff_id'], ['staff.id']),
        sa.PrimaryKeyConstraint('id'),
        sqlite_with_rowid=False,
    )
    op.create_table(
        'staff_order',
        sa.Column('id', sa.String(22), nullable=False),
        sa.Column('staff_id', sa.Integer(), nullable=False),
        sa.Column('command', sa.String(20), nullable=False),
        sa.Column('account_id', sa.Integer(), nullable=False),
        sa.Column('new_mobile', sa.String(16), nullable=True),
        sa.Column('ref', sa.String(7), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('sent_code_id', sa.String(22), nullable=True),
        sa.Column('staff_notified_at', sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['account_id'], ['account.id']),
        sa.ForeignKeyConstraint(['staff_id'], ['staff.id']),
        sa.PrimaryKeyConstraint('id'),
        sqlite_with_rowid=False,
    )
    op.create_table(
        'reset_grant',
        sa.Column('id', sa.String(22), nullable=False),
        sa.Column('account_id', sa.Integer(), nullable=False),
        sa.Column('code_id', sa.String(22), nullable=False),
        sa.Column('digest', sa.LargeBinary(length=32), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['account_id'], ['account.id']),
        sa.PrimaryKeyConstraint('id'),
        sqlite_with_rowid=False,
    )


def _index_codes() -> None:
    live = sa.text('closed_at IS NULL')
    for name, columns in (('code_one_live', ['account_id']), ('code_one_live_of_staff', ['staff_id', 'purpose'])):
        op.create_index(name, 'code', columns, unique=True, sqlite_where=live, postgresql_where=live)
    for whose in ('account', 'staff'):
        only = sa.text(f'{whose}_id IS NOT NULL')
        columns = [f'{whose}_id', 'created_at']
        op.create_index(f'code_{whose}_created', 'code', columns, sqlite_where=only, postgresql_where=only)
    op.create_index('staff_order_staff_created', 'staff_order', ['staff_id', 'created_at'])
    op.create_index('staff_order_account_done', 'staff_order', ['account_id', 'done_at'])
    watched = sa.text('sent_code_id IS NOT NULL AND staff_notified_at IS NULL')
    op.create_index('staff_order_watched', 'staff_order', ['done_at'], sqlite_where=watched, postgresql_where=watched)
    op.create_index('reset_grant_account', 'reset_grant', ['account_id'])


def downgrade() -> None:
    """Back to the former names and tables. Codes and orders are lost: a new code can be asked for."""
    for table in ('staff_order', 'reset_grant', 'code'):
        op.drop_table(table)
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table)
    _restore_constraints()
    for table, column in ADDED:
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
    for table, names in COLUMNS.items():
        for old, new in names.items():
            op.execute(f'ALTER TABLE {table} RENAME COLUMN {new} TO {old}')
    for old, new in TABLES.items():
        op.rename_table(new, old)
    _restore_unread()
    _index(FORMER_INDEXES)
    _create_former_codes()


def _restore_constraints() -> None:
    with op.batch_alter_table('stats_period') as periods:
        periods.drop_constraint(op.f('stats_period_begins_at_unique'), type_='unique')
        periods.create_unique_constraint(op.f('span_begins_at_unique'), ['begins_at'])
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(
            'ALTER TABLE outbound_message RENAME CONSTRAINT outbound_message_secret_erased TO outbox_secret_erased'
        )


def _restore_unread() -> None:
    moment, then = sa.DateTime(timezone=True), sa.text("'2026-01-01 00:00:00.000000+00:00'")
    op.add_column('conversation', sa.Column('table_version', sa.Integer(), server_default=sa.text('1'), nullable=False))
    op.add_column('staff', sa.Column('added_at', moment, server_default=then, nullable=False))
    for table, column in (
        ('conversation', 'stop_confirmed_at'),
        ('announcement', 'taken_at'),
        ('account', 'password_set_at'),
    ):
        op.add_column(table, sa.Column(column, moment, nullable=True))


def _create_former_codes() -> None:
    moments = ('created_at', 'expires_at')
    for table, texts, numbers in (
        ('code', {'phone': 16}, ('account_id',)),
        ('ticket', {'code_id': 22}, ('account_id',)),
        ('confirmation', {'command': 20, 'ref': 7}, ('staff_id', 'account_id')),
        ('console_code', {}, ('staff_id',)),
    ):
        tried = () if table == 'ticket' else (
            sa.Column('key_id', sa.String(32), nullable=False),
            sa.Column('tries_left', sa.Integer(), nullable=False),
            sa.Column('fate', sa.String(10), nullable=True),
        )
        op.create_table(
            table,
            sa.Column('id', sa.String(22), nullable=False),
            *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
            *(sa.Column(name, sa.String(length), nullable=False) for name, length in texts.items()),
            *tried,
            sa.Column('digest', sa.LargeBinary(length=32), nullable=table == 'ticket'),
            *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in moments),
            sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
            *_former_extras(table),
            *(sa.ForeignKeyConstraint([name], [f'{name[:-3]}.id'], name=op.f(f'{table}_{name}_fkey')) for name in numbers),
            sa.PrimaryKeyConstraint('id', name=op.f(f'{table}_pkey')),
            sqlite_with_rowid=False,
        )
    live, watched = 'closed_at IS NULL', 'code_id IS NOT NULL AND told_at IS NULL'
    for name, table, columns, rows in (
        ('code_account_created', 'code', ['account_id', 'created_at'], None),
        ('ticket_account', 'ticket', ['account_id'], None),
        ('ticket_phone', 'ticket', ['phone'], 'phone IS NOT NULL'),
        ('confirmation_account_closed', 'confirmation', ['account_id', 'closed_at'], None),
        ('confirmation_staff_created', 'confirmation', ['staff_id', 'created_at'], None),
        ('confirmation_watched', 'confirmation', ['closed_at'], watched),
        ('console_code_staff_created', 'console_code', ['staff_id', 'created_at'], None),
    ):
        _index({name: (table, columns, rows)})
    only = sa.text(live)
    for table, owner in (('code', 'account_id'), ('confirmation', 'staff_id'), ('console_code', 'staff_id')):
        op.create_index(f'{table}_one_live', table, [owner], unique=True, sqlite_where=only, postgresql_where=only)


def _former_extras(table: str) -> list[sa.Column[object]]:
    return {
        'code': [sa.Column('by_owner', sa.Boolean(), nullable=False), sa.Column('staff_id', sa.Integer(), nullable=True)],
        'ticket': [sa.Column('phone', sa.String(16), nullable=True)],
        'confirmation': [
            sa.Column('new_mobile', sa.String(16), nullable=True),
            sa.Column('code_id', sa.String(22), nullable=True),
            sa.Column('told_at', sa.DateTime(timezone=True), nullable=True),
        ],
        'console_code': [],
    }[table]
