"""Every limit that no setting changes, each with its reason. What an operator may set is in bot/settings/fields.py."""

# Replies an hour to one phone. A phone that has named no right national ID may be another bot, and two bots that answer
# each other never stop, so it has few. A broker who helps several pilgrims from one phone needs more.
UNPARSED_PER_HOUR = 3
HINTS_PER_HOUR = 10
REPLIES_WITHOUT_ID_PER_HOUR = 3
# How often an hour START ends a STOP. Both are always confirmed where they are done, so two machines that answer each
# other would go on for ever: after this a phone stays opted out and silent until it asks by an ID, or an hour is over.
STARTS_PER_HOUR = 5
# A busy staff member needs fewer. Somebody who forges the number can't have it texted without end.
STAFF_REPLIES_PER_HOUR = 120

# Codes an hour to one account at the wish of phones that are not its own: strangers must not have a mobile texted
# again and again.
OTHER_PHONES_PER_HOUR = 2

# Wrong codes in a row, over all codes, that end recovery until staff unlock it. NIST SP 800-63B-4, 3.2.2.
LOCKING_FAILURES = 100

# Resets that one staff member may have carried out: more than an office's busiest hour and day.
RESETS_PER_HOUR, RESETS_PER_DAY = 30, 100
# Orders that were mistyped or not carried out have room besides.
CONFIRMATIONS_PER_HOUR = 60

# Tries an hour at the console's login, of numbers and codes together: few from one address, for anybody can have
# many addresses; more from a browser in which a staff member has logged in before, whatever its address.
LOGIN_TRIES_PER_HOUR, LOGIN_TRIES_OF_KNOWN_BROWSER = 20, 40

# Fakher's calls a minute. A login page on the day when caravans are chosen makes many, a person few.
CALLS_PER_TOKEN_AND_MINUTE = 3_000
CALLS_PER_ACCOUNT_AND_MINUTE = 60

# Codes a minute beyond which strangers' requests wait: more than a season's busiest minute can want; and more than
# people with mobiles of another country can.
CODES_PER_MINUTE, CODES_PER_MINUTE_ABROAD = 3_000, 300
