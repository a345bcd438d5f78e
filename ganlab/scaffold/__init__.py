"""A new plugin's project, written from templates: what `ganlab new-plugin` does, as functions.

The templates are a plugin of each kind that works as it is; an author changes what it computes, not how it is packaged.
"""

from __future__ import annotations

from ganlab.scaffold.kinds import EXAMPLES, Example
from ganlab.scaffold.project import LICENSES, Part, Project, files_of, write_project

__all__ = ["EXAMPLES", "LICENSES", "Example", "Part", "Project", "files_of", "write_project"]
