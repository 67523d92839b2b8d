"""The documentation's configurations, each run as it stands inside a private world.

``interop_howto_configurations_run_as_they_stand`` runs these modules.
"""
