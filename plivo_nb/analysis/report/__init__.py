"""Reports: what is known of calls, in one HTML file that needs nothing else.

content      what a report says of a call, and of the machine
cohort       what it says of many calls together
masking      numbers, addresses and names replaced by pseudonyms
svg          figures as SVG that follows the page's colours
document     the HTML file, from template.html
"""
