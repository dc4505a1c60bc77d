"""`mstar export`: a run's policy as others read it, with what it was trained on and how well it does"""
