"""Several hosts at work: their databases, their texts, and the alarms that go by their figures."""
