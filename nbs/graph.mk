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
09_classification:
10_yolov8: 00_data
11_efficientdet: 00_data
12_retinanet: 00_data
13_faster_rcnn: 00_data
14_detectors: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn
20_sam: 00_data
21_lesions: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam
22_sam_prompts: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam
30_inceptionv3: 00_data 21_lesions
31_densenet: 00_data 21_lesions
32_xception: 00_data 21_lesions
33_vgg16: 00_data 21_lesions
34_efficientnetv2_b3: 00_data 21_lesions
35_coca: 00_data 21_lesions
36_classifiers: 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
40_pipeline: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
41_predict: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
50_tables: 00_data 01_phantom 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 14_detectors 20_sam 21_lesions 22_sam_prompts 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca 36_classifiers 40_pipeline 60_data_trust 61_paper_audit 62_ablation 63_benchmarks
60_data_trust: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
61_paper_audit: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 14_detectors 20_sam 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca 36_classifiers 62_ablation
62_ablation: 00_data 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
63_benchmarks: 00_data 10_yolov8 11_efficientdet 12_retinanet 13_faster_rcnn 20_sam 21_lesions 30_inceptionv3 31_densenet 32_xception 33_vgg16 34_efficientnetv2_b3 35_coca
90_runner:
91_project:
92_weights:
93_rehearsal:
94_doctor:
