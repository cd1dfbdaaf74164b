"""What follows an answer: the staff hear of unhappy patients, happy ones may be asked for a review."""
