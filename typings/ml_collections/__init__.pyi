"""What tljax uses of ml_collections. The package's own annotations give every setting one union of
types; a setting may be anything."""

from ml_collections.config_dict import ConfigDict as ConfigDict
from ml_collections.config_dict import FieldReference as FieldReference
