"""What the studio shows and no command tells: small looks into a workspace that change nothing."""
