"""Both control points, for people to read.

date_range.py  which days are asked of
kpi.py         the figures
kpi_report.py  the figures on a terminal, and as a CSV's rows
rollup.py      counts the texts of hours that are over, so that figures are sums
"""
