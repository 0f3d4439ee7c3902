# Which notebook needs the results of which, as make rules. The Makefile includes this file, the runner reads it.
00_data:
01_phantom:
02_preprocess:
03_metrics:
04_torch_training:
05_keras_training:
06_exercises:
07_reports:
08_detection:
10_yolov8: 00_data
11_efficientdet: 00_data
12_retinanet: 00_data
13_faster_rcnn: 00_data
14_detectors: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn
20_sam: 00_data
21_lesions: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam
22_sam_prompts: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam
34_efficientnetv2_b3: 21_lesions
40_pipeline: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam 21_lesions 34_efficientnetv2_b3
50_tables: 00_data 01_phantom 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 14_detectors 20_sam 21_lesions 22_sam_prompts 34_efficientnetv2_b3 40_pipeline
90_runner:
91_project:
