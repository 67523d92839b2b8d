"""Where third parties put their plugins: a folder of this name on ``sys.path``, without this file.

A plugin is an object that provides ``twisted.plugin.IPlugin`` and one of the interfaces of
:mod:`stunnel_tx.interfaces`, at the top level of a module in such a folder.
"""

from __future__ import annotations

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
