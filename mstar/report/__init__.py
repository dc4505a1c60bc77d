"""`mstar report`: a run as a folder of static pages, from how it went down to every response."""
