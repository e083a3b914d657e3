"""What shall be changed in a user's own input pipeline?"""
