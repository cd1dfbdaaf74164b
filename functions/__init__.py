"""What happens, and when: one folder a Lambda function."""
