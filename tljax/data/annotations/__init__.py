"""Boxes as people annotate them: Pascal VOC's XML, COCO's JSON, YOLO's text, and tables.

Each reader turns the files of a folder or archive into `annotated.Annotations`. `tljax.data.boxes`
makes data sets of them.
"""
