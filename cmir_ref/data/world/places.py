"""The 21 kinds of place of UC Merced, as templates: what lies there, what stands on it, and how often what else.

How often an extra appears is about the frequency of its label among the images of the place in the multi-label
annotation (Chaudhuri et al., IEEE TGRS 2018).
"""

from . import built_places as built
from . import open_places as open_
from . import road_places as roads

PLACES = {
    "agricultural": open_.agricultural,
    "airplane": roads.airplane_place,
    "baseballdiamond": open_.baseballdiamond,
    "beach": open_.beach,
    "buildings": built.buildings,
    "chaparral": open_.chaparral,
    "denseresidential": built.denseresidential,
    "forest": open_.forest,
    "freeway": roads.freeway,
    "golfcourse": open_.golfcourse,
    "harbor": built.harbor,
    "intersection": roads.intersection,
    "mediumresidential": built.mediumresidential,
    "mobilehomepark": built.mobilehomepark,
    "overpass": roads.overpass,
    "parkinglot": roads.parkinglot,
    "river": open_.river,
    "runway": roads.runway,
    "sparseresidential": built.sparseresidential,
    "storagetanks": built.storagetanks,
    "tenniscourt": open_.tenniscourt,
}
