FROM alpine
RUN --mount=type=tmpfs,target=/scratch,size=1m echo x > /scratch/x && cat /scratch/x > /got
