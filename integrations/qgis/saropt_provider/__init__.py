"""The plug-in's entry point, which QGIS calls."""


def classFactory(interface):
    """The plug-in."""
    from .provider import Plugin

    return Plugin()
