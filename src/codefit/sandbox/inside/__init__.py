"""What runs on the far side: these files are sent as text to a bare interpreter inside the isolation.

They import the standard library, the codec and one another, nothing else of this package.
"""
