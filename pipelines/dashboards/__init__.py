"""Dashboards for Grafana as code: what is on them, how they are built, checked and drawn without a Grafana."""

import warnings

# The SDK advises a second schema of dashboards while it is imported; Grafana 11 and older read the first alone.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import grafana_foundation_sdk.builders.dashboard
    import grafana_foundation_sdk.models.dashboardv2
    import grafana_foundation_sdk.models.dashboardv2beta1  # noqa: F401
