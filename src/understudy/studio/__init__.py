"""The studio: the whole product in a browser, on this machine or a remote one.

Forms come from the steps' options, work is done by the command line as child processes, pictures
come over binary WebSockets. Imports the steps and the ground floor, never the command line's code.
"""
