"""The classes of COCO (Lin et al. 2014, https://cocodataset.org) by their numbers from 1 to 90, of
which ten are those of no picture."""

NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, ,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
, backpack, umbrella, , , handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, , wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, , dining table, , , toilet, , tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, , book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
# in the order of a detector's outputs; unused numbers are classes 'none 12', ...
COCO = tuple(
    name or f'none {number}'
    for number, name in enumerate((name.strip() for name in NAMES.split(',')), 1)
)
