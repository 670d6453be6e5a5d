"""Images and volumes read at the points of a grid."""
